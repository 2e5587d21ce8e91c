# Planted bugs (sdk/mutant.h). Only sources that include the header are compiled differently, so ccache
# serves all others from the release build.
option(POLYQUORUM_MUTANTS "Compile the planted bugs in, to be chosen at run time" OFF)

# To be called when all targets are known.
function(polyquorum_plant_mutants)
  if(NOT POLYQUORUM_MUTANTS)
    return()
  endif()
  add_library(mutants SHARED ${CMAKE_SOURCE_DIR}/sdk/mutant.cpp)
  target_include_directories(mutants PRIVATE ${CMAKE_SOURCE_DIR})
  target_compile_definitions(mutants PRIVATE POLYQUORUM_MUTANTS)
  set_target_properties(mutants PROPERTIES OUTPUT_NAME polyquorum-mutants CXX_VISIBILITY_PRESET default)
  target_link_libraries(interfaces INTERFACE mutants)  # everybody links the contract
  foreach(room state kernel plugins simulator)
    file(GLOB_RECURSE sources ${CMAKE_SOURCE_DIR}/${room}/*.cpp)
    foreach(source ${sources})
      file(STRINGS ${source} planted REGEX "^#include \"sdk/mutant.h\"")
      if(planted)
        get_filename_component(folder ${source} DIRECTORY)
        # tests/desk compiles the desk's sources once more.
        set_property(SOURCE ${source} DIRECTORY ${folder} ${CMAKE_SOURCE_DIR}/tests/desk APPEND
                     PROPERTY COMPILE_DEFINITIONS POLYQUORUM_MUTANTS)
      endif()
    endforeach()
  endforeach()
endfunction()
