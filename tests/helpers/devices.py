"""XLA flags of the tests."""

DEVICES_FLAG = "--xla_force_host_platform_device_count"  # of virtual CPU devices
# Half the seconds that the default takes to compile a training stage.
FAST_COMPILATION = " --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
