package dev.manners.reward;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Arrays;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import opennlp.tools.langdetect.LanguageDetectorME;
import opennlp.tools.langdetect.LanguageDetectorModel;

/// Which language a text is in, as Apache OpenNLP's model guesses: 103 languages from the statistics of character
/// n-grams. Good for a few sentences; on a few words it is a guess among relatives.
final class Language {

    /// Where the model's ISO 639-3 codes are not those of Java.
    private static final Map<String, String> OTHER_CODES =
            Map.of("zho", "cmn", "est", "ekk", "lav", "lvs", "fas", "pes", "swa", "swh", "nep", "npi", "msa", "zlm");

    private Language() {}

    /// Loaded when first needed: 10 MB.
    private static final class Model {
        static final LanguageDetectorModel MODEL = load();
        static final Set<String> CODES =
                new TreeSet<>(Arrays.asList(new LanguageDetectorME(MODEL).getSupportedLanguages()));

        private static LanguageDetectorModel load() {
            try (InputStream in = Language.class.getResourceAsStream("/langdetect-183.bin")) {
                if (in == null) {
                    throw new IllegalStateException("langdetect-183.bin is not on the class path");
                }
                return new LanguageDetectorModel(in);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    /// The model's code for a language.
    ///
    /// @param iso two or three letters of ISO 639: `en`, `deu`
    /// @throws Task.Unscorable if it does not know that language
    static String code(String iso) {
        String three;
        try {
            three = Locale.of(iso).getISO3Language();
        } catch (java.util.MissingResourceException e) {
            throw new Task.Unscorable("no language is called " + Show.text(iso));
        }
        String other = OTHER_CODES.getOrDefault(three, three);
        if (Model.CODES.contains(three)) {
            return three;
        }
        if (Model.CODES.contains(other)) {
            return other;
        }
        throw new Task.Unscorable(
                "the language " + Show.text(iso) + " is not one of the " + Model.CODES.size() + " that are told apart");
    }

    /// @return the model's code of the likeliest language
    static String of(String text) {
        return new LanguageDetectorME(Model.MODEL).predictLanguage(text).getLang();
    }
}
