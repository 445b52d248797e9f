"""The write-up's claims, one file per family; importing them fills the table `CLAIMS`."""

from experiments.claims.write_up import deaths, expense, gradient, instrument, learning, signs

__all__ = ["deaths", "expense", "gradient", "instrument", "learning", "signs"]
