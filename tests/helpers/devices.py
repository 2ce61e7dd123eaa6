"""XLA flags of the tests."""

_FAST_COMPILATION = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"  # half the time


def xla_flags(num_devices, others=""):
    """The environment variable XLA_FLAGS for this number of virtual CPU devices; later flags win over earlier ones."""
    return f"{_FAST_COMPILATION} --xla_force_host_platform_device_count={num_devices} {others}".strip()
