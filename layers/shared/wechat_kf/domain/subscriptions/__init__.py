"""Subscriptions: who gets which events, and how they are delivered."""
