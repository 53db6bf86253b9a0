//! Whom to talk to: slots, dialing, reputation, bans.
