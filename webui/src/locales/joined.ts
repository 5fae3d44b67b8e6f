export interface Texts {
  [key: string]: string | Texts;
}

/** The sections of all files of a language. Their keys are plain texts to the type checker; the tests know them all. */
export const joined = (files: Record<string, unknown>): Texts => Object.assign({}, ...Object.values(files)) as Texts;
