"""Labels and one-line explanations of the fields of the training form."""

from __future__ import annotations

from typing import Final

WORDS: Final[dict[str, tuple[str, str]]] = {
    "task": ("Task", "Visible vertebrae of a slice, its fractures, boxes around fractures, or a "
             "label for every voxel."),
    "type": ("Type", "1: image alone. 2: image and metadata or vertebra probabilities. "
             "3: fracture and vertebra together."),
    "backbone": ("Backbone", "The image network below the head."),
    "head": ("Head", "Pooled features, or maps of the fracture line that boxes supervise; dense "
             "networks start best from a localiser."),
    "freeze_backbone": ("Freeze the backbone", "Train the head alone."),
    "pretrained": ("ImageNet start", "torchvision's weights instead of random ones; needs a "
                   "download or torch's hub cache."),
    "alpha": ("Alpha", "Type 3: weight of the fracture loss against the vertebra loss."),
    "init_from": ("Start from bundle", "Bundle whose weights this run starts from, for layers of "
                  "the same name and shape."),
    "fracture_target": ("Fracture target", "A slice is positive if a fractured vertebra is "
                        "visible, or only if it has a box."),
    "vertebra_bundle": ("Vertebra bundle", "Predicts the visible vertebrae of studies without a "
                        "mask."),
    "data_root": ("Data root", "Folder in RSNA's layout; another one can be typed."),
    "annotations": ("Annotations", "Folder of annotations, such as var/annotations, whose boxes "
                    "and verdicts replace those of the data set."),
    "folds": ("Folds", "Groups of patients with equal shares of fractures."),
    "fold": ("Held-out fold", "Used for measuring, never for training."),
    "slices_per_study": ("Slices per study", "Most slices of a study per epoch; 0 uses all."),
    "balanced": ("Balance classes", "Draw as many positive as negative slices; the bundle's "
                 "probabilities are corrected for it."),
    "negatives": ("Negatives per box", "Localisation: slices without fracture per slice with one."),
    "anchors_per_level": ("Anchors per level", "Localisation: box shapes per pyramid level."),
    "size": ("Input size (px)", "Side of the square input of the network."),
    "crop": ("Central crop", "Share of the side that is kept before resizing."),
    "field_mm": ("Spine field (mm)", "Side of a square that follows the spine, instead of the "
                 "central crop."),
    "window_center": ("Window centre (HU)", "Middle of the HU window."),
    "window_width": ("Window width (HU)", "Extent of the HU window."),
    "channels": ("Channels", "One grey slice three times, three HU windows, or the slice with its "
                 "two neighbours."),
    "noise_reduction": ("Noise reduction", "Black background by a fixed or Otsu's threshold, or "
                        "the means of K clusters; see Preprocessing."),
    "noise_threshold": ("Noise threshold", "Grey level, 1 to 255, below which a pixel is "
                        "background."),
    "noise_clusters": ("Noise clusters K", "Clusters of K-means, 2 to 8."),
    "augment": ("Augment", "Transform every slice at random each time it is used."),
    "augment_rotation_deg": ("Rotation up to (°)", "In either direction about the centre."),
    "augment_flip": ("Flip probability", "Share of slices with left and right exchanged."),
    "augment_brightness": ("Brightness up to", "Added or subtracted, as a share of white."),
    "augment_contrast": ("Contrast up to", "Logarithm of the factor about mid-grey."),
    "augment_saturation": ("Saturation up to", "Logarithm of the factor; no effect on equal "
                           "channels."),
    "augment_hue_deg": ("Hue up to (°)", "Rotation of the hue; no effect on equal channels."),
    "augment_shift": ("Shift up to", "As a share of the side, along either axis."),
    "augment_zoom": ("Zoom up to", "Logarithm of the factor, in or out."),
    "epochs": ("Epochs", "Passes over the training slices."),
    "batch_size": ("Batch size", "Slices per step."),
    "max_lr": ("Peak learning rate", "Maximum of the one-cycle schedule."),
    "pct_start": ("Rising share", "Share of the steps in which the learning rate rises."),
    "weight_decay": ("Weight decay", "Regularisation that shrinks the weights."),
    "keep_epoch": ("Epoch to keep", "The bundle holds the epoch with the lowest loss on the "
                   "held-out fold (localisation: highest mean IoU), or the last one."),
    "optimizer": ("Optimizer", "Adam as in the method, or AdamW, whose weight decay leaves norms "
                  "and biases alone."),
    "backbone_lr_share": ("Backbone rate", "Learning rate of the backbone as a share of the peak "
                          "learning rate."),
    "ema_decay": ("Weight averaging", "Decay of a moving average of the weights, which is measured "
                  "and kept, such as 0.999; 0 is off."),
    "accumulate": ("Batch in parts", "Parts in which a batch passes through the network, to save "
                   "memory; batch norm sees one part at a time."),
    "compile_network": ("Compile", "Compile the network with torch.compile: a minute or more at "
                        "the start, then faster, mostly on a GPU."),
    "augment_on": ("Augment on", "The loader (processor) or the network's device, a batch at a "
                   "time; auto uses the device on a GPU."),
    "sync_batch_norm": ("Shared batch norm", "Several GPUs: statistics over the slices of all of "
                        "them."),
    "early_stopping_loss": ("Watch", "The loss of training batches, or after each epoch the one on "
                            "the held-out fold (localisation: 1 - mean IoU)."),
    "gradient_clip": ("Gradient limit", "Largest norm of the gradient; 0 is no limit."),
    "early_stopping": ("Stop early", "End the run when the loss no longer falls."),
    "early_stopping_delta": ("Least decrease", "Smallest decrease of the loss that counts."),
    "early_stopping_patience": ("Patience", "Checks without such a decrease before the run ends."),
    "early_stopping_every": ("Check every (batches)", "Batches between checks."),
    "precision": ("Precision", "auto uses mixed precision on a GPU and 32 bits elsewhere; bf16 is "
                  "faster on processors that have bfloat16."),
    "device": ("Device", "auto uses the fastest available."),
    "seed": ("Seed", "The same seed and data give the same model."),
    "deterministic": ("Deterministic", "Reproducible kernels, slower on a GPU."),
    "loader_workers": ("Loader workers", "Threads that prepare batches ahead; 0 prepares them "
                       "between steps, empty chooses for the machine."),
    "checkpoint_every_s": ("Checkpoint every (s)", "Most work that is lost if the run is killed."),
}  # fmt: skip
"""Label and one-line explanation by key; other fields use their own description."""
