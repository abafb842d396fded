"""One operation through the guards and the network, with its attempts."""
