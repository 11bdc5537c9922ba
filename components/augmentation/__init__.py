"""Section `augmentation`: change what a training batch holds, anew in each epoch; never evaluation, never serving."""
