"""What an answer is worth: metrics, temperature, prediction sets, "none of these"."""
