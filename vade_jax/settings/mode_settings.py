"""Which settings of the command line each mode reads. The others of a trained run are those it was trained with."""

from collections.abc import Iterable

from vade_jax.system.errors import InputError

_SECTIONS_OF_MODES = ("predict.", "generate.", "select_k.")
_ALWAYS_READ = ("data.path", "precision", "compilation_cache")
# mode -> names of settings, and of sections with a '.' at the end
_READ = {
    "evaluate": (*_ALWAYS_READ, "evaluate.", "report"),
    "predict": (*_ALWAYS_READ, "predict.", "evaluate.batch_size"),
    "generate": (*_ALWAYS_READ, "generate."),
    "select_k": (
        *_ALWAYS_READ,
        "select_k.",
        "evaluate.batch_size",
        "evaluate.bound_samples",
        "evaluate.bound_rows",
    ),
}


def check_settings_of_mode(mode: str, names: Iterable[str]) -> None:
    """Checks that a mode reads these settings.

    Args:
      mode: of the command line.
      names: dotted names of the settings that were given.

    Raises:
      InputError: the first setting that the mode would ignore.
    """
    for name in names:
        if not _reads(mode, name):
            raise InputError(
                f"config.{name}",
                f"a value with --mode={mode}",
                f"a setting that this mode reads: {_describe(mode)}",
                _remedy(mode, name),
            )


def _reads(mode: str, name: str) -> bool:
    if mode == "train":
        return not name.startswith(_SECTIONS_OF_MODES)
    return any(name == read or (read.endswith(".") and name.startswith(read)) for read in _READ[mode])


def _describe(mode: str) -> str:
    if mode == "train":
        return f"any but those of {', '.join(section.rstrip('.') for section in _SECTIONS_OF_MODES)}"
    return ", ".join(f"{read}*" if read.endswith(".") else read for read in _READ[mode])


def _remedy(mode: str, name: str) -> str:
    if mode == "predict" and name.startswith("evaluate."):
        return "Run --mode=evaluate with it first: the temperature and the outliers' threshold depend on it."
    return "Leave it out. Another run can be trained with it." if mode != "train" else "Give it to that mode."
