/** What a line card is called: as it names itself, the one that stands in for a card in the language of the page. */
export function cardName(card: { model: string | null; driver: string }, t: (key: string) => string): string {
  return card.model === "Emulated line card" ? t("lines.emulatedCard") : card.model || card.driver;
}
