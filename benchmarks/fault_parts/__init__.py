"""Faults to inject: what `faults.py` and `fuzz_decode.py` are made of."""
