"""XLA flags of the tests."""

from importlib import metadata

# They halve the time. XLA ends a process that has a flag it does not know, and later versions do not know the second.
_FAST_COMPILATION = "--xla_cpu_parallel_codegen_split_count=1"
if metadata.version("jaxlib").startswith("0.10."):
    _FAST_COMPILATION += " --xla_cpu_use_fusion_emitters=false"


def xla_flags(num_devices, others=""):
    """The environment variable XLA_FLAGS for this number of virtual CPU devices; later flags win over earlier ones."""
    return f"{_FAST_COMPILATION} --xla_force_host_platform_device_count={num_devices} {others}".strip()
