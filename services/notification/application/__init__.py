"""What notification does: hears requests, sends them, takes in reports. Every step that counts is one transaction."""
