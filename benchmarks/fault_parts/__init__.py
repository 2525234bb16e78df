"""The faults that `faults.py` and `fuzz_decode.py` inject."""
