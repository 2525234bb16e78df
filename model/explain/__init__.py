"""Why an answer was given: places of the photograph, and similar training photographs."""
