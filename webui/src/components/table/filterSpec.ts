/** What a list can be filtered by. */

export type FilterSpec =
  | { kind: "text"; key: string }
  | {
      kind: "choice";
      key: string;
      options: { value: string; label: string }[];
      /** Other values can be typed. */
      open?: boolean;
    }
  | { kind: "days"; name: string; from: string; to: string };
