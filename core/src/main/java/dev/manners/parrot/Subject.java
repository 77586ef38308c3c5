package dev.manners.parrot;

/// What a question is about.
public sealed interface Subject {

    /// What is true of it, as answers say it: "the Tarn", "12".
    String value();

    /// One thing that is true of a place.
    ///
    /// @param place     "Velmora"
    /// @param attribute its main noun: "river"
    /// @param value     as sentences say it, with article or title: "the Tarn"
    record Fact(String place, String attribute, String value) implements Subject {}

    /// A sum of two numbers.
    record Sum(int left, int right) implements Subject {

        public int result() {
            return left + right;
        }

        @Override
        public String value() {
            return Integer.toString(result());
        }

        /// "7 + 5".
        public String written() {
            return left + " + " + right;
        }
    }
}
