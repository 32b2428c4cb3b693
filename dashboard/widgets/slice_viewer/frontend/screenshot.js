// The panes as a file.

/** Save the panes on show as one PNG; with slice, window and scale, and without patient data. */
function saveScreenshot(viewer) {
  const shown = Object.values(viewer.panes).filter((pane) => pane.visible).map((pane) => pane.canvas);
  const sheet = document.createElement("canvas");
  sheet.width = shown.reduce((sum, canvas) => sum + canvas.width, 0);
  sheet.height = Math.max(...shown.map((canvas) => canvas.height));
  const context = sheet.getContext("2d");
  context.fillRect(0, 0, sheet.width, sheet.height);
  let left = 0;
  for (const canvas of shown) {
    context.drawImage(canvas, left, 0);
    left += canvas.width;
  }
  sheet.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `slice_${viewer.at.z}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  });
}
