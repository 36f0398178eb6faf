"""PyTorch's tutorial on transfer learning, its network as a fixed feature extractor, as a script.

https://docs.pytorch.org/tutorials/beginner/transfer_learning_tutorial.html, written anew: batches of
4, four workers, SGD at 0.001 with momentum 0.9, a tenth of it every 7 epochs, random resized crops
and flips, an evaluation after each epoch, float32. MobileNetV2 in the place of ResNet-18, and the
weights of the last epoch instead of the best one's, so nothing is written to disk.

`python -m tests.benchmarks.tutorial_loop TRAIN VALIDATION WEIGHTS EPOCHS SEED` prints what it took.
"""

import json
import sys
import time

import torch
import torchvision
from safetensors.torch import load_file
from torch.utils.data import DataLoader
from torchvision import transforms as T  # noqa: N812 - what everybody calls it

NORMALISE = T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
AUGMENT = T.Compose([T.RandomResizedCrop(224), T.RandomHorizontalFlip(), T.ToTensor(), NORMALISE])
CENTRE = T.Compose([T.Resize(256), T.CenterCrop(224), T.ToTensor(), NORMALISE])


def main(train: str, validation: str, weights: str, epochs: str, seed: str) -> None:
    """Print seconds and the accuracy of the last epoch."""
    torch.manual_seed(int(seed))
    started = time.perf_counter()
    loaders = {
        training: DataLoader(
            torchvision.datasets.ImageFolder(folder, AUGMENT if training else CENTRE),
            batch_size=4,
            shuffle=True,
            num_workers=4,
        )
        for training, folder in ((True, train), (False, validation))
    }
    model = torchvision.models.mobilenet_v2()
    model.load_state_dict(load_file(weights))
    model.requires_grad_(False)
    classes = len(loaders[True].dataset.classes)
    model.classifier[1] = torch.nn.Linear(model.classifier[1].in_features, classes)
    optimizer = torch.optim.SGD(model.classifier[1].parameters(), lr=0.001, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.1)
    for _ in range(int(epochs)):
        for training, loader in loaders.items():
            model.train(training)
            loss_sum = right = 0.0
            for images, labels in loader:
                optimizer.zero_grad()
                with torch.set_grad_enabled(training):
                    logits = model(images)
                    loss = torch.nn.functional.cross_entropy(logits, labels)
                    if training:
                        loss.backward()
                        optimizer.step()
                loss_sum += loss.item() * len(images)
                right += float((logits.argmax(1) == labels).sum())
        scheduler.step()
    found = {"seconds": time.perf_counter() - started, "accuracy": right / len(loader.dataset)}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
