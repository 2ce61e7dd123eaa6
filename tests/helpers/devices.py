"""The XLA flag for the number of virtual CPU devices in tests."""

DEVICES_FLAG = "--xla_force_host_platform_device_count"
