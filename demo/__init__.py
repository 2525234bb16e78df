"""The Gradio app around a Frostflower checkpoint."""
