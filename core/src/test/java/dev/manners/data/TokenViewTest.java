package dev.manners.data;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class TokenViewTest {

    private static final ByteEncoder BYTES = new ByteEncoder();

    @Test
    void trainedAndMaskedTokensAreToldApart() {
        Example example = new Example(
                new int[] {'H', 'i', '\n', 'y', 'o', ByteEncoder.EOS},
                new boolean[] {false, false, false, true, true, true},
                "rows.jsonl:3");
        assertThat(new TokenView(BYTES, false, false).show(example))
                .isEqualTo("rows.jsonl:3: 6 tokens, 3 trained\nHi↵\n«yo<end>»\n");
        assertThat(new TokenView(BYTES, true, true).show(example))
                .isEqualTo(
                        "rows.jsonl:3: 6 tokens, 3 trained\n\u001b[2mH|i|↵\n\u001b[0m\u001b[32my|o|<end>\u001b[0m\n");
    }

    @Test
    void packedDocumentsAreToldApart() {
        Packed packed = Packed.of(new int[] {'a', 'b', 'c'}, new boolean[] {true, true, true}, new int[] {2, 1});
        assertThat(new TokenView(BYTES, false, false).show(packed))
                .isEqualTo("3 tokens, 1 trained, 2 documents\n--- 2 tokens\na«b»\n--- 1 tokens\nc\n");
    }

    @Test
    void ds11_nothingInTheDataReachesTheTerminal() {
        String hostile =
                "\u001b[2J\u001b]8;;http://x\u0007 \r\b\u009b31m \u202Egnp.exe \u200b\u2028 <b>=HYPERLINK(1)</b>";
        String shown = TokenView.printable(hostile);
        assertThat(shown)
                .isEqualTo("\\x1b[2J\\x1b]8;;http://x\\x07 \\x0d\\x08\\x9b31m \\u202egnp.exe \\u200b\\u2028"
                        + " <b>=HYPERLINK(1)</b>");
        assertThat(TokenView.printable("naïve 🙂 漢字 a\tb\n")).isEqualTo("naïve 🙂 漢字 a→b↵\n");
        Example example = new Example(BYTES.text("\u001b[2J"), new boolean[4], "evil\u001b.jsonl:1");
        assertThat(new TokenView(BYTES, false, false).show(example)).doesNotContain("\u001b");
    }
}
