package dev.manners.rollout;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.offset;

import dev.manners.model.Decoder;
import dev.manners.tensor.Inference;
import dev.manners.testing.Jvm;
import dev.manners.testing.Tiny;
import dev.manners.text.Tokenizer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/// A JVM without the Vector API, or without its optimising compiler, says so and samples the same.
class WithoutVectorsTest {

    static final class Program {
        public static void main(String[] args) {
            Inference.warnings().forEach(w -> System.out.println("warning " + w));
            print().forEach(System.out::println);
        }
    }

    /// A line for each completion: its tokens and their log-probabilities.
    private static List<String> print() {
        List<int[]> prompts = List.of(new int[] {5, 6, 7}, new int[] {9}, new int[] {30, 31, 32, 33, 34, 35});
        try (Decoder decoder = Tiny.llama(420, 64, 42);
                Tokenizer tokenizer = Tiny.tokenizer(null)) {
            return new Engine(decoder, tokenizer, Set.of(), 4)
                    .generate(prompts, 2, Sampling.at(0.9, 24, 42)).stream()
                            .map(c -> Arrays.toString(c.ids()) + " " + Arrays.toString(c.logps()))
                            .toList();
        }
    }

    @Test
    void theSameTokens() throws Exception {
        assertThat(Inference.warnings()).isEmpty();
        Process process = Jvm.of(Program.class.getName(), List.of(), List.of())
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        List<String> lines = process.inputReader(StandardCharsets.UTF_8).lines().toList();
        assertThat(process.waitFor()).isZero();
        assertThat(lines.getFirst()).startsWith("warning").contains("--add-modules jdk.incubator.vector");
        List<String> here = print();
        assertThat(lines).hasSize(1 + here.size());
        int differing = 0;
        for (int i = 0; i < here.size(); i++) {
            String there = lines.get(i + 1);
            assertThat(ids(there)).isEqualTo(ids(here.get(i)));
            assertThat(logps(there)).containsExactly(logps(here.get(i)), offset(1e-5));
            differing += there.equals(here.get(i)) ? 0 : 1;
        }
        // Other bits: it was computed another way.
        assertThat(differing).isPositive();
    }

    private static String ids(String line) {
        return line.substring(0, line.indexOf(']'));
    }

    private static double[] logps(String line) {
        String numbers = line.substring(line.lastIndexOf('[') + 1, line.lastIndexOf(']'));
        return Arrays.stream(numbers.split(", "))
                .mapToDouble(Double::parseDouble)
                .toArray();
    }
}
