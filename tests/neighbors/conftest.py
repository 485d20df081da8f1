"""`device_cases.py` is run by `test_device_interpreted` alone, in a process where Triton interprets its kernels."""

collect_ignore = ["device_cases.py"]
