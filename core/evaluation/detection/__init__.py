"""Detection metrics of boxes: IoU, FROC, average precision, and the files of boxes."""
