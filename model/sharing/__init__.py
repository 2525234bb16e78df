"""Everything that leaves this machine: uploads to the Hugging Face Hub, and ONNX files."""
