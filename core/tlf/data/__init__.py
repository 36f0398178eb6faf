"""Images in, tensors out: decoding, the audit of unreadable files, views, and batches of them."""

from __future__ import annotations

from tlf.data.audit import Skipped, check_dataset
from tlf.data.batches import (
    batch_order,
    batches_per_epoch,
    evaluation_batches,
    in_background,
    train_batches,
)
from tlf.data.decode import UnreadableImageError, decode, digest
from tlf.data.headers import Header, read_headers
from tlf.data.inputs import to_device, to_input
from tlf.data.listing import list_images
from tlf.data.loaded import (
    DecodedImages,
    DigestMemory,
    Loaded,
    LoadedSplit,
    Use,
    labels_of,
    load_dataset,
)
from tlf.data.views import Views, load_views, make_views, view_of_epoch

__all__ = [
    "DecodedImages",
    "DigestMemory",
    "Header",
    "Loaded",
    "LoadedSplit",
    "Skipped",
    "UnreadableImageError",
    "Use",
    "Views",
    "batch_order",
    "batches_per_epoch",
    "check_dataset",
    "decode",
    "digest",
    "evaluation_batches",
    "in_background",
    "labels_of",
    "list_images",
    "load_dataset",
    "load_views",
    "make_views",
    "read_headers",
    "to_device",
    "to_input",
    "train_batches",
    "view_of_epoch",
]
