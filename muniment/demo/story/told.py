"""The story from its first act to its last."""

from muniment.demo.story import figures, opening, play, proof
from muniment.demo.story.scene import Scene


def tell(scene: Scene) -> bool:
    """Tell it; True where every figure of the services equals what the raw data says."""
    opening.ask(scene)
    opening.bring_data(scene)
    opening.register_model(scene)
    opening.deploy(scene)
    play.play(scene)
    figures.compare(scene)
    proof.audit(scene)
    return all(line.holds for line in scene.lines)
