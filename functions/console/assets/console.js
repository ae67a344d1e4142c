// What scripts add to pages that are complete without them.

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    const text = button.firstChild;
    text.data = "Copied";
    setTimeout(() => { text.data = "Copy"; }, 2000);
  });
}
