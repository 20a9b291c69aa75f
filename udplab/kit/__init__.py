"""What every lesson uses. It knows no lesson and no LAN."""
