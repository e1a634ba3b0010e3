"""What one object's prompts say, step by step, as people give them: click, look, correct."""

from sam_plugins.interaction.mask_prompts import mask_prompt
from sam_plugins.interaction.refine import Refined, Refiner
from sam_plugins.interaction.steps import Interaction, Scribble, Step

__all__ = ["Interaction", "Refined", "Refiner", "Scribble", "Step", "mask_prompt"]
