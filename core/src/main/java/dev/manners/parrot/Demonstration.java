package dev.manners.parrot;

/// A user's question and the assistant's answer to it.
public record Demonstration(String question, String answer, Subject subject) {}
