package dev.manners;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import dev.manners.parrot.ParrotWorld;
import dev.manners.parrot.Prompt;
import dev.manners.parrot.gold.Gold;
import dev.manners.reward.Candidate;
import dev.manners.reward.Reward;
import dev.manners.reward.Score;
import java.util.List;
import org.junit.jupiter.api.Test;

/// The house's floors: a package never imports one above it.
class ArchitectureTest {

    /// From the ground up.
    private static final List<String> FLOORS = List.of(
            "files",
            "config",
            "tensor",
            "model",
            "text",
            "data",
            "stats",
            "loss",
            "rollout",
            "reward",
            "train",
            "feedback",
            "audit",
            "parrot",
            "run",
            "serve",
            "cli");

    private static final JavaClasses CLASSES = new ClassFileImporter()
            .withImportOption(new ImportOption.DoNotIncludeTests())
            .importPackages("dev.manners");

    @Test
    void lowerPackagesNeverImportHigherOnes() {
        for (int floor = 0; floor < FLOORS.size() - 1; floor++) {
            String[] above = FLOORS.subList(floor + 1, FLOORS.size()).stream()
                    .map(name -> "dev.manners." + name + "..")
                    .toArray(String[]::new);
            noClasses()
                    .that()
                    .resideInAPackage("dev.manners." + FLOORS.get(floor) + "..")
                    .should()
                    .dependOnClassesThat()
                    .resideInAnyPackage(above)
                    .allowEmptyShould(true)
                    .check(CLASSES);
        }
    }

    @Test
    void onlyTensorKnowsLibtorch() {
        noClasses()
                .that()
                .resideOutsideOfPackage("dev.manners.tensor..")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("org.bytedeco..")
                .check(CLASSES);
    }

    /// What is measured by must not be optimised: only the packages that run and show experiments may know it.
    @Test
    void theGoldScorerIsOutOfReachOfEverythingThatTrainsOrJudges() {
        noClasses()
                .that()
                .resideOutsideOfPackages("dev.manners.parrot.gold..", "dev.manners.run..", "dev.manners.cli..")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("dev.manners.parrot.gold..")
                .check(CLASSES);
    }

    /// Not even one class of an experiment sees both, so no reward can be made of it.
    @Test
    void noClassKnowsBothRewardsAndTheGoldScorer() {
        noClasses()
                .that(KNOW_GOLD)
                .should()
                .dependOnClassesThat()
                .resideInAPackage("dev.manners.reward..")
                .allowEmptyShould(true)
                .check(CLASSES);
        noClasses()
                .that()
                .areAssignableTo(Reward.class)
                .should()
                .transitivelyDependOnClassesThat()
                .resideInAPackage("dev.manners.parrot.gold..")
                .check(CLASSES);
    }

    @Test
    void theRulesAboutTheGoldScorerWouldFindIt() {
        JavaClasses tests = new ClassFileImporter().importClasses(GoldAsReward.class, Gold.class, Reward.class);
        assertThat(KNOW_GOLD.test(tests.get(GoldAsReward.class))).isTrue();
        assertThatThrownBy(() -> noClasses()
                        .that()
                        .areAssignableTo(Reward.class)
                        .should()
                        .transitivelyDependOnClassesThat()
                        .resideInAPackage("dev.manners.parrot.gold..")
                        .check(tests))
                .isInstanceOf(AssertionError.class)
                .hasMessageContaining("GoldAsReward");
    }

    /// What the rules forbid.
    private record GoldAsReward(ParrotWorld world, Prompt prompt) implements Reward {
        @Override
        public String name() {
            return "gold";
        }

        @Override
        public List<Score> score(List<Candidate> candidates) {
            return candidates.stream()
                    .map(c -> Score.of(name(), Gold.value(world, prompt, c.completion()), ""))
                    .toList();
        }
    }

    private static final DescribedPredicate<JavaClass> KNOW_GOLD = DescribedPredicate.describe(
            "know the gold scorer",
            type -> type.getDirectDependenciesFromSelf().stream()
                    .anyMatch(d -> d.getTargetClass().getPackageName().startsWith("dev.manners.parrot.gold")));

    @Test
    void nothingIsJavaSerialised() {
        noClasses()
                .should()
                .dependOnClassesThat()
                .haveFullyQualifiedName("java.io.ObjectInputStream")
                .check(CLASSES);
    }
}
