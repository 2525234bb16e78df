"""What benchmarks/startup.py measures with: a checkpoint of many classes, and a browser."""
