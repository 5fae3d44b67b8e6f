/** All texts in English, Element Plus' own among them; a language that nobody reads is not loaded. */

import element from "element-plus/es/locale/lang/en";
import { joined } from "./joined";

export const elementTexts = element;
export const texts = joined(import.meta.glob(["./en.json", "./*.en.json"], { eager: true, import: "default" }));
