"""MQTT-based file delivery."""
