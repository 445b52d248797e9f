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

import numpy as np
import torch
from torch.nn.parallel import DataParallel, DistributedDataParallel

KINDS = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)

CHANGED = (
    "the weights have changed since the last take(): set hooks.active = False where a step is not recorded"
)


class Hooks:
    """Notes x, z and delta at each call of a model's dense and convolutional layers, until `take`.

    active: whether it does. A pass without a backward pass, such as an evaluation, is left out.
    Errors: TypeError for a model that is spread over several devices.
    """

    def __init__(self, model: torch.nn.Module):
        if isinstance(model, DataParallel | DistributedDataParallel):
            raise TypeError(
                "each device has a part of the examples alone: train the plain model on one device"
            )
        self.calls, self.batch, self.active = [], 0, True
        model.register_forward_pre_hook(self._next_batch)
        for name, module in model.named_modules():
            if isinstance(module, KINDS):
                module.register_forward_hook(lambda m, x, z, name=name: self._call(name, m, x[0], z))

    def _next_batch(self, model, inputs):
        self.batch += 1

    def _call(self, name, module, x, z):
        if not (self.active and torch.is_grad_enabled()):  # as it is not in the first pass of a checkpoint
            return None
        w, b = (None if p is None else p.detach().clone() for p in (module.weight, module.bias))
        call = {"module": module, "x": x.detach().clone(), "z": z.detach(), "w": w, "b": b}
        if z.requires_grad:  # not where all up to here is frozen
            z.register_hook(lambda delta: call.update(delta=delta.clone()))
        self.calls.append((name, self.batch, call))
        return z.clone()  # what an activation in place overwrites is this copy

    def take(self) -> dict[tuple[str, int], dict]:
        """Return the arrays since the last `take` by (name, call), after optimiser.step(); forget them."""
        layers, count = {}, {}
        trained = {batch for _, batch, call in self.calls if "delta" in call}
        for name, batch, call in self.calls:
            if batch not in trained:
                continue
            number = count[name, batch] = count.get((name, batch), 0) + 1
            layers.setdefault((name, number), []).append(call)
        self.calls = []
        return {key: _joined(calls) for key, calls in layers.items()}


def _joined(calls):
    """The batches of one step, one after another; w and step with the units on the last axis."""
    module, first = calls[0]["module"], calls[0]
    if any((call["w"] != first["w"]).any() for call in calls):
        raise RuntimeError(CHANGED)
    found = {n: np.concatenate([_array(call.get(n)) for call in calls]) for n in ("x", "z")}
    deltas = [_array(call.get("delta")) for call in calls]
    found["delta"] = None if any(delta is None for delta in deltas) else np.concatenate(deltas)
    weights = {"w": first["w"], "dw": module.weight.grad, "step": module.weight.detach() - first["w"]}
    found |= {n: None if w is None else _array(w.movedim(0, -1)) for n, w in weights.items()}
    if module.bias is not None:
        found |= {"b": _array(first["b"]), "db": _array(module.bias.grad)}
    return found


def _array(tensor):
    """A NumPy array of a tensor; NumPy has no bfloat16, and float32 holds all its numbers."""
    if tensor is None:
        return None
    return (tensor.float() if tensor.dtype is torch.bfloat16 else tensor).detach().cpu().numpy()
