"""The arrays of a PyTorch model, by forward hooks and tensor hooks. Import this, or copy it.

hooks = Hooks(model)
…
hooks.active = step in (0, 10, 100)    # before the forward pass; a step that is not recorded costs nothing
…
loss.backward()                        # once, or for each batch that is accumulated
optimiser.step()
recorder.record(step, hooks.take(), loss=loss.item())
optimiser.zero_grad()
"""

import torch
from torch.nn.parallel import DataParallel, DistributedDataParallel

from experiments.recording.call_log import CallLog

KINDS = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)

SPREAD = "each device has a part of the examples: train the plain model on one device"


class Hooks:
    """Notes x, z and delta at each call of a model's dense and convolutional layers, until `take`."""

    def __init__(self, model: torch.nn.Module):
        if any(isinstance(each, DataParallel | DistributedDataParallel) for each in model.modules()):
            raise TypeError(SPREAD)
        self.log, self.active = CallLog(), True
        model.register_forward_pre_hook(lambda *_: self.log.next_pass())
        for name, module in model.named_modules():
            if isinstance(module, KINDS):
                module.register_forward_hook(lambda m, x, z, name=name: self._call(name, m, x[0], z))

    def _call(self, name, module, x, z):
        if not self.active:
            return None
        if not torch.is_grad_enabled():  # as it is not in the first pass of a checkpoint
            return self.log.passed(name)
        if getattr(module, "_is_replica", False):  # of a DataParallel around this model
            raise TypeError(SPREAD)
        w, b = units_last(module.weight), array(module.bias)
        call = self.log.call(name, module, x=array(x), z=array(z), w=w, b=b)
        if z.requires_grad:  # not where all up to here is frozen
            z.register_hook(lambda delta: call.update(delta=array(delta)))
        return z.clone()  # what an activation in place overwrites is this copy

    def take(self):
        """Return the arrays since the last `take`, after optimiser.step() and before zero_grad()."""
        return self.log.take(
            lambda m: {"w": units_last(m.weight), "dw": units_last(m.weight.grad)} | db_of(m)
        )


def db_of(module):
    """The gradient of the bias, where there is a bias."""
    return {} if module.bias is None else {"db": array(module.bias.grad)}


def array(tensor):
    """A copy as a NumPy array, in float32 for bfloat16, which NumPy lacks; None stays None."""
    if tensor is None:
        return None
    return (
        tensor.detach()
        .to("cpu", torch.float32 if tensor.dtype is torch.bfloat16 else None, copy=True)
        .numpy()
    )


def units_last(tensor):
    """The same with the units, PyTorch's first axis, on the last."""
    return None if tensor is None else array(tensor.movedim(0, -1))
