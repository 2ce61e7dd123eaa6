"""How many virtual devices a CPU has in tests."""

DEVICES_FLAG = "--xla_force_host_platform_device_count"
