/** What a list can be filtered by. */

export type FilterSpec =
  | { kind: "text"; key: string }
  | {
      kind: "choice";
      key: string;
      options: { value: string; label: string }[];
      /** Other values can be typed. */
      open?: boolean;
      /** Looks for options that fit what was typed; `options` become those. */
      search?: (text: string) => void;
    }
  /** `ahead`: of days to come. */
  | { kind: "days"; name: string; from: string; to: string; ahead?: boolean };

/** What the large field of a list offers; `hint` stands beside it. */
export interface Suggested {
  key: string;
  label: string;
  hint: string;
}
