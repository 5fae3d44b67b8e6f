/** All texts in Simplified Chinese, Element Plus' own among them; a language that nobody reads is not loaded. */

import element from "element-plus/es/locale/lang/zh-cn";
import { joined } from "./joined";

export const elementTexts = element;
export const texts = joined(import.meta.glob(["./zh-CN.json", "./*.zh-CN.json"], { eager: true, import: "default" }));
