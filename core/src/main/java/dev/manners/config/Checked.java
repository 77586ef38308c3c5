package dev.manners.config;

import java.util.List;

/// A configuration record whose options must fit together.
public interface Checked {

    /// What contradicts what, one sentence each; empty when all is well.
    List<String> problems();
}
