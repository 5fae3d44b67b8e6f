"""Line cards: one driver per family, their discovery, and the emulators they are tested with."""
