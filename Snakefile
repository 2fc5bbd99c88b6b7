include: "workflow/Snakefile"


# An included file cannot say what is made when nothing is asked for.
rule default:
    input:
        rules.all.input,
