"""The three lessons of the lab: what it is set to, the question, and a paragraph for the teacher."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """A lesson.

    `words` set the lab as an address does; `note` is for who stands in front of the class, `exercise` for the
    class afterwards; `slide` is a figure of the experiment `experiment` that says the same with many seeds.
    """

    name: str
    question: str
    words: tuple[str, ...]
    note: str
    exercise: str
    experiment: str
    slide: str


PRESETS = {
    "vanishing": Preset(
        "Vanishing with depth",
        "Why does the deep network not learn, where the shallow one does?",
        ("activation=sigmoid", "init=xavier_normal", "lr=0.5", "a.depth=2", "b.depth=10"),
        "Before you press Run, let the class read the left panel. Its axis counts powers of ten: in B "
        "each sigmoid layer passes on about a quarter of the gradient, so that layer 1 gets two "
        "millionths of what layer 10 gets. The dashed line is what theory expects before the first "
        "update, and B lies on it. Run for about 200 updates: A is right in over nine of ten, B stays "
        "at chance, one in ten. Ask what would help, and try each answer in B: he_normal does not, "
        "norm batch or skips of 1 do, and relu does with a learning rate of 0.1. A common misreading "
        "is that the units of B are dead. None is: they are alive and are not told what to change.",
        "With xavier_normal a sigmoid layer passes on 0.24 of the gradient. Predict the ratio of "
        "layer 1 to layer 20 in a network of depth 20, then set depth 20 and read it off the picture.",
        "deep_sigmoid",
        "gradient_and_accuracy",
    ),
    "dying": Preset(
        "Dying ReLU and recovery",
        "Can one oversized step kill units, and do leaky ones come back?",
        (
            "dataset=digits(scale=unit)", "activation=relu", "depth=3", "init=he_normal", "lr=0.05",
            "factor=200",
        ),
        "A and B are the same network on the same seed, so that their lines lie on one another. Let "
        "them run for 20 updates, pause, and press One oversized step: a single update with 200 times "
        "the learning rate. More than a third of the units of layers 2 and 3 are dead, which means "
        "slope 0 on every example. Now press B: leaky from here on, and run. B has no dead unit from "
        "that moment, because a leaky slope is never 0. A keeps most of its dead units, and those of "
        "layer 1 never come back, because the inputs below them do not change. Both learn again: a "
        "network can afford dead units, and the class should say so. Press Back until the step is "
        "undone, and try a factor of 50 or of 1000.",
        "Is a dead unit of layer 2 dead for ever? Find a factor after which one of them comes back, "
        "and say what has moved below it. Then say why this cannot happen in layer 1.",
        "dying_relu",
        "deaths_and_recoveries",
    ),
    "initialisation": Preset(
        "Initialisation decides",
        "Can the size of the first random weights decide whether a network learns?",
        ("activation=relu", "depth=10", "lr=0.05", "a.init=normal(std=0.05)", "b.init=he_normal"),
        "The two networks differ in nothing but the size of their random weights: a standard "
        "deviation of 0.05 in A, and in B √(2/64) = 0.18, which He et al. (2015) derived so that a "
        "ReLU layer passes on as much as it gets. Each layer of A passes on 0.05/0.18 = 0.28 of its "
        "signal, and ten of them leave almost nothing; theory's dashed line says so before any "
        "training. Run: within 100 updates B is right in nine of ten, and A stays at chance. So ReLU "
        "alone is no cure. Then let the class look for another way out: in A, norm batch makes the "
        "size of the weights irrelevant.",
        "For tanh, try normal(std=0.05) and normal(std=0.3) at depth 10: one is too small and one too "
        "large. What does each do to the gradient of layer 1, and which of the two learns?",
        "initialisation",
        "factors_by_setting",
    ),
}  # fmt: skip
DEFAULT = "vanishing"
