"""Class names: those the user gave, those the file holds, COCO's 80 where the count fits and nothing is known."""

from __future__ import annotations

from edgewright.core.errors import InputError

COCO = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant",
    "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
    "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli",
    "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet",
    "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink",
    "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip


def labels_for(
    given: tuple[str, ...], known: tuple[str, ...], classes: int, *, coco: bool = True
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of a model's classes and notes for the user. InputError where the given names do not fit.

    `coco` allows COCO's names for 80 classes that nobody named (a detector's, not a classifier's).
    """
    if given:
        if len(given) != classes:
            raise InputError(
                f"{len(given)} labels were given, but the model has {classes} classes.",
                "Give one label per class, in the order of the training.",
            )
        return given, ()
    if len(known) == classes:
        return known, ()
    if coco and classes == len(COCO):
        return COCO, ("The file names no classes; it has 80, so COCO's names are used.",)
    note = f"The file names no classes; the {classes} are called class0, class1, …"
    return tuple(f"class{i}" for i in range(classes)), (note,)
