package dev.manners.config;
public interface Checked { java.util.List<String> problems(); }
