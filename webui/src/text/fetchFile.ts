/** Lets the browser fetch a file that the box sends as an attachment; the page stays where it is. */
export function fetchFile(url: string): void {
  const link = document.createElement("a");
  link.href = url;
  link.download = "";
  document.body.append(link);
  link.click();
  link.remove();
}
