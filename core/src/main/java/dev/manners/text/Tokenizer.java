package dev.manners.text;
public final class Tokenizer { public StreamingDecoder streamingDecoder(boolean s){throw new IllegalStateException();} public String decode(int[] i, boolean b){throw new IllegalStateException();} }
